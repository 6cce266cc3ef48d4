fn main() -> Result<(), shared::function::Error> {
    availability::main()
}
