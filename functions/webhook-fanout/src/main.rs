fn main() -> Result<(), shared::function::Error> {
    webhook_fanout::main()
}
