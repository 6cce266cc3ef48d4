fn main() -> Result<(), shared::function::Error> {
    migrate::main()
}
