// Makes random numbers the same in every run. Import it first: libraries keep the function that they find.
let seed = 1;
Math.random = () => {
  seed = (seed * 48271) % 2147483647;
  return seed / 2147483647;
};
