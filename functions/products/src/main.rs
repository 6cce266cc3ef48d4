fn main() -> Result<(), shared::function::Error> {
    products::main()
}
