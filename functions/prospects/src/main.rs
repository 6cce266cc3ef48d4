fn main() -> Result<(), shared::function::Error> {
    prospects::main()
}
