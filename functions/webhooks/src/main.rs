fn main() -> Result<(), shared::function::Error> {
    webhooks::main()
}
