fn main() -> Result<(), shared::function::Error> {
    auth::main()
}
