//! Serves the lab's firmware by iSCSI until its input ends: `serve_firmware [DEFECT]`.

use std::io::Read;

use slotwise_lab::iscsi::Portal;
use slotwise_lab::target::{DEFECTS, MediumKind, Model, Target};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted = std::env::args().nth(1);
    let defect = match wanted.as_deref() {
        None => None,
        Some(id) => Some(DEFECTS.iter().find(|row| row.id == id).ok_or("no such defect")?.defect),
    };
    let model = Model { blocks: 6_001, medium: MediumKind::Fixed };
    let portal = Portal::on_loopback(Target::new(model, defect))?;
    println!("{}", portal.url());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
