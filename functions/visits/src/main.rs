fn main() -> Result<(), shared::function::Error> {
    visits::main()
}
