fn main() -> Result<(), shared::function::Error> {
    tags::main()
}
