//! Finds the device under test in a guest, and makes sure it is the one that was declared.

use std::time::Duration;

use slotwise_core::pci::PciId;

use crate::rig::{DeviceUnderTest, Identity, Serves};
use crate::transport::{Transport, TransportError};
use crate::wire::{
    Command, CommandOutcome, Completion, DeviceAddress, Direction, FoundDevice, HexBytes, PciFunction,
};

/// What may pass in a probe of a device that did not answer: it is well, or it is reset.
const PROBE_TIMEOUT_MS: u32 = 5_000;
const SCAN_LIMIT: Duration = Duration::from_secs(120);
const COMMAND_TIMEOUT_MS: u32 = 10_000;
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// The device as it was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Where commands reach it; none in a guest that carries none, nor if it is no SCSI device.
    pub(super) address: Option<DeviceAddress>,
    /// The PCI function it is or sits behind, `dddd:bb:dd.f`, where the guest tells.
    pub(super) function: Option<String>,
    /// Vendor, product, revision, by its own answer to the bench.
    pub(super) identity: Option<[String; 3]>,
}

/// Why the device under test is not to be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FindError {
    #[error("no answer from the guest")]
    Transport(#[from] TransportError),
    #[error("no SCSI device at {place}; the guest has {found}")]
    Absent { place: String, found: String },
    #[error("{count} SCSI devices fit; say which with channel, id and lun")]
    Ambiguous { count: usize },
    #[error("no PCI function {id} in the guest, which has {found}")]
    NoFunction { id: PciId, found: String },
    #[error("{count} PCI functions are {id}, and which is the device is not known")]
    ManyFunctions { id: PciId, count: usize },
    #[error("which PCI function is the device is not declared")]
    FunctionUndeclared,
    #[error("{address} does not answer {command} as it must")]
    Mute { address: DeviceAddress, command: &'static str },
    #[error("{address} says it is {found}, and {declared} is declared: nothing is sent to it")]
    Mismatch { address: DeviceAddress, found: String, declared: String },
}

impl FindError {
    /// Whether the device is gone or mute; one that is another than declared is nothing that a reset mends.
    pub(super) fn blames_device(&self) -> bool {
        !matches!(
            self,
            Self::Ambiguous { .. }
                | Self::Mismatch { .. }
                | Self::ManyFunctions { .. }
                | Self::FunctionUndeclared
        )
    }
}

/// Finds what must be there for a case to begin: the SCSI device, with the function that it sits behind where the guest tells, or
/// the function alone.
pub(super) fn find(transport: &mut dyn Transport, device: &DeviceUnderTest) -> Result<Found, FindError> {
    if device.function.serves == Serves::Anything {
        let function = function(transport, device, None)?.ok_or(FindError::FunctionUndeclared)?;
        return Ok(Found { address: None, function: Some(function), identity: None });
    }
    let (address, behind) = find_scsi(transport, device)?;
    let identity = identify(transport, address, device)?;
    // Only cases of functions need it, and they are skipped where it is not known.
    let function = function(transport, device, behind).unwrap_or_default();
    Ok(Found { address: Some(address), function, identity: Some(identity) })
}

/// The address of the declared function; without a declaration that of the one that the SCSI device sits behind.
fn function(
    transport: &mut dyn Transport,
    device: &DeviceUnderTest,
    behind: Option<String>,
) -> Result<Option<String>, FindError> {
    let Some(id) = device.function.id else { return Ok(behind) };
    let functions = transport.functions()?;
    let told = |own: &PciFunction| format!("{}:{}", own.vendor, own.device);
    let mut fitting = functions.iter().filter(|own| told(own) == id.to_string());
    match (fitting.next(), fitting.count()) {
        (None, _) => {
            let found = functions.iter().map(told).collect::<Vec<_>>().join(", ");
            Err(FindError::NoFunction { id, found })
        }
        (Some(one), 0) => Ok(Some(one.address.clone())),
        (Some(_), more) => match behind {
            Some(behind) => Ok(Some(behind)),
            None => Err(FindError::ManyFunctions { id, count: more + 1 }),
        },
    }
}

fn find_scsi(
    transport: &mut dyn Transport,
    device: &DeviceUnderTest,
) -> Result<(DeviceAddress, Option<String>), FindError> {
    transport.scan(device.nexus, SCAN_LIMIT)?;
    let devices = transport.devices()?;
    let fits = |found: &&FoundDevice| {
        let (wanted, address) = (device.nexus, found.address);
        wanted.channel.is_none_or(|channel| channel == address.channel)
            && wanted.id.is_none_or(|id| id == address.id)
            && wanted.lun.is_none_or(|lun| lun == address.lun)
    };
    let fitting: Vec<_> = devices.iter().filter(fits).collect();
    match fitting.as_slice() {
        [] => {
            let told: Vec<_> = devices.iter().map(|own| format!("{} {}", own.address, own.product)).collect();
            let found = if told.is_empty() { "none".to_owned() } else { told.join(", ") };
            Err(FindError::Absent { place: place(device), found })
        }
        [one] => Ok((one.address, one.pci.clone())),
        several => Err(FindError::Ambiguous { count: several.len() }),
    }
}

/// Asks a device who it is, and holds the answer against what was declared. Before each case that writes: another disk may
/// have taken the place of the one that was found.
pub(super) fn identify(
    transport: &mut dyn Transport,
    address: DeviceAddress,
    device: &DeviceUnderTest,
) -> Result<[String; 3], FindError> {
    let inquiry = ask(transport, address, "INQUIRY", &[0x12, 0, 0, 0, 36, 0])?;
    // Vendor, product, revision: bytes 8, 16 and 32 (X3.131-1994, 8.2.5.1, table 44).
    let text = |range| inquiry.data.0.get(range).map(text_of);
    let identity = [text(8..16), text(16..32), text(32..36)];
    let [Some(vendor), Some(product), Some(revision)] = identity else {
        return Err(FindError::Mute { address, command: "INQUIRY" });
    };
    if let Some(declared) = &device.identity {
        let serial = declared.serial.is_some().then(|| serial(transport, address)).transpose()?;
        let found = Identity { vendor: vendor.clone(), product: product.clone(), serial };
        if found != *declared {
            let (found, declared) = (told(&found), told(declared));
            return Err(FindError::Mismatch { address, found, declared });
        }
    }
    Ok([vendor, product, revision])
}

/// Whether the way to the device reports exactly what was not moved of a buffer. Some adapter drivers do not
/// (`esp_scsi.c`, Linux 6.1, never sets a residual), nor do some emulated adapters; cases that need the length of an
/// answer would blame the device for it. READ CAPACITY has no allocation length and sends eight bytes (X3.131-1994,
/// 9.2.7), so the rest of a larger buffer must come back as residual. `None` where the device does not carry it out.
pub(super) fn residual_is_exact(
    transport: &mut dyn Transport,
    address: DeviceAddress,
) -> Result<Option<bool>, TransportError> {
    const BUFFER_BYTES: u32 = 4096;
    const CAPACITY_BYTES: i32 = 8;
    let direction = Direction::In { length: BUFFER_BYTES };
    let cdb = HexBytes(vec![0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let command = Command { cdb, direction, timeout_ms: COMMAND_TIMEOUT_MS };
    // Twice: the first may meet a unit attention.
    let outcomes = transport.execute(address, &[command.clone(), command], COMMAND_LIMIT)?;
    Ok(match outcomes.last() {
        Some(CommandOutcome::Completed(last)) if last.reached_device() && last.status == 0 => {
            Some(i64::from(last.residual) == i64::from(BUFFER_BYTES) - i64::from(CAPACITY_BYTES))
        }
        _ => None,
    })
}

/// Takes from the device what it has to say of its reset, so that a case finds it as the one before did: a unit attention
/// stands for each event since the last command, and is told once (X3.131-1994, 7.9).
pub(super) fn hear_out(transport: &mut dyn Transport, address: DeviceAddress) -> Result<(), TransportError> {
    const EVENTS: usize = 4;
    let cdb = HexBytes(vec![0; 6]);
    let command = Command { cdb, direction: Direction::None, timeout_ms: COMMAND_TIMEOUT_MS };
    for _ in 0..EVENTS {
        let outcomes = transport.execute(address, std::slice::from_ref(&command), COMMAND_LIMIT)?;
        // One that never gets ready is for the cases to find.
        if matches!(outcomes.last(), Some(CommandOutcome::Completed(last)) if last.status == 0) {
            break;
        }
    }
    Ok(())
}

/// Whether the device answers, whatever it says: TEST UNIT READY (X3.131-1994, 8.2.16), twice, as the first may end a
/// recovery that is under way.
pub(super) fn answers(transport: &mut dyn Transport, address: DeviceAddress) -> Result<bool, TransportError> {
    let cdb = HexBytes(vec![0; 6]);
    let command = Command { cdb, direction: Direction::None, timeout_ms: PROBE_TIMEOUT_MS };
    for _ in 0..2 {
        let outcomes = transport.execute(address, std::slice::from_ref(&command), COMMAND_LIMIT)?;
        if matches!(outcomes.last(), Some(CommandOutcome::Completed(last)) if last.reached_device()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn place(device: &DeviceUnderTest) -> String {
    let part = |value: Option<u64>| value.map_or_else(|| "*".to_owned(), |value| value.to_string());
    let nexus = device.nexus;
    format!("*:{}:{}:{}", part(nexus.channel.map(u64::from)), part(nexus.id.map(u64::from)), part(nexus.lun))
}

fn told(identity: &Identity) -> String {
    let serial = identity.serial.as_ref().map(|serial| format!(" serial {serial}")).unwrap_or_default();
    format!("{} {}{serial}", identity.vendor, identity.product)
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches([' ', '\0']).to_owned()
}

/// The unit serial number (8.3.4.5): the page's data from byte 4 on.
fn serial(transport: &mut dyn Transport, address: DeviceAddress) -> Result<String, FindError> {
    let page = ask(transport, address, "INQUIRY for page 80h", &[0x12, 1, 0x80, 0, 255, 0])?;
    let mute = FindError::Mute { address, command: "INQUIRY for page 80h" };
    page.data.0.get(4..).map(|bytes| text_of(bytes).trim_start().to_owned()).ok_or(mute)
}

fn ask(
    transport: &mut dyn Transport,
    address: DeviceAddress,
    name: &'static str,
    cdb: &[u8; 6],
) -> Result<Completion, FindError> {
    let length = u32::from(cdb[4]);
    let direction = Direction::In { length };
    let command = Command { cdb: HexBytes(cdb.to_vec()), direction, timeout_ms: COMMAND_TIMEOUT_MS };
    let outcome = transport.execute(address, &[command], COMMAND_LIMIT)?.into_iter().next();
    match outcome {
        Some(CommandOutcome::Completed(completion))
            if completion.reached_device() && completion.status == 0 =>
        {
            Ok(completion)
        }
        _ => Err(FindError::Mute { address, command: name }),
    }
}
