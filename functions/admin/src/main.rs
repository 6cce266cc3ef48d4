fn main() -> Result<(), shared::function::Error> {
    admin::main()
}
