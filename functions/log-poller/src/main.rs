fn main() -> Result<(), shared::function::Error> {
    log_poller::main()
}
