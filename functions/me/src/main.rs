fn main() -> Result<(), shared::function::Error> {
    me::main()
}
