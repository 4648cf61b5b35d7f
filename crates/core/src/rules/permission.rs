//! Whether a user may open a device node: asked by the rules about VFIO's nodes and those of USB devices.
//!
//! Owner, group and permission bits are told; which groups a user is in, and what an access control list adds
//! (`systemd-logind` gives some nodes to whoever sits at the machine), are not.

use crate::facts::{DeviceNode, Fact};

/// What owner and bits of a node say of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// Read and write.
    Given,
    /// Read and write as a member of this group.
    ToGroup(u32),
    /// No.
    Refused,
}

/// Whether `user` may open a node to read and write.
pub(super) fn leave(node: &DeviceNode, user: u32) -> Leave {
    let both = |shift: u16| node.mode >> shift & 0o6 == 0o6;
    if user == 0 || both(0) || user == node.user_id && both(6) {
        Leave::Given
    } else if node.group_id != 0 && both(3) {
        Leave::ToGroup(node.group_id)
    } else {
        Leave::Refused
    }
}

/// The node of a path among those that are known.
pub(super) fn node<'n>(nodes: &'n Fact<Vec<DeviceNode>>, path: &str) -> Option<&'n DeviceNode> {
    nodes.known()?.iter().find(|node| node.path == path)
}

/// A node in words.
pub(super) fn shown(node: &DeviceNode) -> String {
    format!("owner {}, group {}, mode {:04o}", node.user_id, node.group_id, node.mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_group_and_others_are_told_apart() {
        let node = |mode, user_id, group_id| DeviceNode { path: String::new(), mode, user_id, group_id };
        assert_eq!(leave(&node(0o600, 0, 0), 0), Leave::Given);
        assert_eq!(leave(&node(0o600, 0, 0), 1000), Leave::Refused);
        assert_eq!(leave(&node(0o600, 1000, 0), 1000), Leave::Given);
        assert_eq!(leave(&node(0o660, 0, 78), 1000), Leave::ToGroup(78));
        assert_eq!(leave(&node(0o660, 0, 0), 1000), Leave::Refused);
        assert_eq!(leave(&node(0o666, 0, 0), 1000), Leave::Given);
        assert_eq!(leave(&node(0o664, 0, 0), 1000), Leave::Refused);
    }
}
