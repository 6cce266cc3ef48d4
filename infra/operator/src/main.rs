//! Runs an operator's command on a stack in AWS. `infra/operate` sets the environment.

use std::process::ExitCode;

use clap::Parser;
use officepro_operator::Operator;
use officepro_operator::commands::Operation;

/// Operates a deployed stack of the OfficePro Partner API.
#[derive(Debug, Parser)]
#[command(name = "officepro-operator", bin_name = "infra/operate STACK", version)]
struct Cli {
    #[command(subcommand)]
    operation: Operation,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().operation.perform(Operator::in_aws).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
