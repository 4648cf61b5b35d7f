//! A last look at the VFIO device nodes before a monitor is started.
//!
//! Paths only: whether the nodes are there and may be opened. What is bound to what, and why, is the host's
//! matter, and the caller says which nodes the machine needs (`/dev/vfio/vfio` and `/dev/vfio/GROUP`, or
//! `/dev/iommu` and `/dev/vfio/devices/vfioN`; kernel `Documentation/driver-api/vfio.rst`).

use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

/// A node that a machine needs and cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeFault {
    /// It is not there.
    #[error("VFIO node {} does not exist", .0.display())]
    Missing(PathBuf),
    /// Something else is there.
    #[error("{} is not a character device", .0.display())]
    NotADevice(PathBuf),
    /// We may not read and write it.
    #[error("no permission to open VFIO node {}", .0.display())]
    Permission(PathBuf),
    /// It cannot be looked at, with the system's error number.
    #[error("cannot look at VFIO node {}: {errno}", path.display())]
    Other {
        /// The node.
        path: PathBuf,
        /// What the system said.
        errno: Errno,
    },
}

impl NodeFault {
    /// What to do next.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => Some(
                "a group's node exists while at least one of its devices is bound to vfio-pci: apply the plan \
                 first; for /dev/vfio/vfio, load the module vfio",
            ),
            Self::Permission(_) => Some(
                "run as root, or give the node to your user, for example with a udev rule for SUBSYSTEM vfio",
            ),
            Self::NotADevice(_) | Self::Other { .. } => None,
        }
    }
}

/// Looks at all nodes.
///
/// # Errors
/// Each node that is missing or may not be opened.
pub fn check_nodes(nodes: &[PathBuf]) -> Result<(), Vec<NodeFault>> {
    let faults: Vec<_> = nodes.iter().filter_map(|node| check_node(node).err()).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn check_node(node: &Path) -> Result<(), NodeFault> {
    let other = |errno| NodeFault::Other { path: node.to_owned(), errno };
    let found = node.metadata().map_err(|error| match error.kind() {
        ErrorKind::NotFound => NodeFault::Missing(node.to_owned()),
        ErrorKind::PermissionDenied => NodeFault::Permission(node.to_owned()),
        _ => other(error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)),
    })?;
    if !found.file_type().is_char_device() {
        return Err(NodeFault::NotADevice(node.to_owned()));
    }
    access(node, Access::READ_OK | Access::WRITE_OK).map_err(|errno| match errno {
        Errno::ACCESS | Errno::PERM => NodeFault::Permission(node.to_owned()),
        errno => other(errno),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_faulty_node_is_reported() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let nodes = ["/dev/null".into(), "/dev/vfio/no-such-group".into(), file.path().to_owned()];
        let expected = vec![NodeFault::Missing(nodes[1].clone()), NodeFault::NotADevice(nodes[2].clone())];
        assert_eq!(check_nodes(&nodes), Err(expected));
    }

    #[test]
    fn usable_nodes_are_fine() {
        assert_eq!(check_nodes(&["/dev/null".into(), "/dev/zero".into()]), Ok(()));
    }
}
