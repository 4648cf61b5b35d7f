//! What SCSI-2 says about answers: status bytes and sense data (X3.131-1994).

mod decode;
mod sense;
mod status;

pub use decode::{cdb_fields, sense_fields};
pub use sense::{NoSenseCode, SenseCode, sense_key_name};
pub use status::{Status, host_status_name};
