fn main() -> Result<(), shared::function::Error> {
    portal::main()
}
