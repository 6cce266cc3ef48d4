import { verify } from './verify.mjs';

console.log(String(verify(...process.argv.slice(2))));
