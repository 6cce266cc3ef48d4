fn main() -> Result<(), shared::function::Error> {
    kb::main()
}
