fn main() -> Result<(), shared::function::Error> {
    tickets::main()
}
