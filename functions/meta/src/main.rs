fn main() -> Result<(), shared::function::Error> {
    meta::main()
}
