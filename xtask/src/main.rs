mod oracle;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    oracle::run()
}
