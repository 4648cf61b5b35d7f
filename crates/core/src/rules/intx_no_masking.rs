//! `intx-no-masking`: the function needs its interrupt line for itself, and has it today.

use std::cell::OnceCell;

use super::masking::{Masking, given_by_line, masking};
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, by_vfio};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "intx-no-masking",
    page: Page {
        what: "The function cannot mask its interrupt, so VFIO takes its line exclusively. Today nobody else is on \
              the line; a driver that is loaded later, or a card that is moved, can take it first, and then the VM \
              does not start. While the guest has the line, such a driver fails in its stead.",
        why: "A line that is requested exclusively and shared at the same time goes to whoever came first. Only \
              registered handlers show in /proc/interrupts; hot-plug, SMBus, USB and sound drivers register theirs \
              when they load.",
        fix: "Keep the line free: leave the slot as it is, and let other devices of the line use MSI.",
        source: "drivers/vfio/pci/vfio_pci_intrs.c: vfio_intx_enable; kernel/irq/manage.c: __setup_irq; \
              drivers/pci/quirks.c: quirk_broken_intx_masking; drivers/pci/probe.c: pci_intx_mask_broken",
    },
    predicts: &["intx-shared"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let given = OnceCell::new();
    for (_, function) in by_vfio(topology, assignment, findings) {
        let address = function.address;
        let Masking::Missing(evidence) = masking(topology, function) else {
            findings.skip(address, "nothing says that it cannot mask its interrupt");
            continue;
        };
        let (Some(_), Some(line)) = (topology.pin(address), topology.line(address)) else {
            findings.skip(address, "it has no interrupt pin, or its line is not known: see intx-shared");
            continue;
        };
        let others = topology.sharers(line.irq, address);
        let stays = others.iter().any(|s| !s.function.is_some_and(|function| assignment.takes(function)));
        let given = given.get_or_init(|| given_by_line(topology, assignment));
        let goes_along = given.get(&line.irq).into_iter().flatten().any(|(_, other)| *other != address);
        if stays || goes_along {
            findings.skip(address, format!("IRQ {} has other users: see intx-shared", line.irq));
            continue;
        }
        let finding = Finding::new(
            &RULE,
            Severity::Notes,
            address,
            format!("needs IRQ {} for itself, and has it now", line.irq),
        )
        .shown("routing", line.to_string())
        .shown(evidence.source, evidence.text);
        findings.push(finding.remedy(RemedyKind::Hardware, "leave the card in this slot"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;
    use crate::topology::fixture::BENCH;

    #[test]
    fn a_free_line_of_a_card_that_cannot_mask_is_noted() {
        let host = BENCH.replace("sym53c8xx eth1", "sym53c8xx");
        let said = check_rule(&RULE, &host, "0000:02:04.0");
        assert_eq!(said, ["notes 0000:02:04.0: needs IRQ 23 for itself, and has it now"]);
    }

    #[test]
    fn a_shared_line_is_left_to_its_own_rule() {
        assert!(check_rule(&RULE, BENCH, "0000:02:04.0").is_empty());
    }

    #[test]
    fn a_card_that_may_mask_is_quiet() {
        let host = BENCH.replace("sym53c8xx eth1", "sym53c8xx").replace("nointxmask=Y", "nointxmask=N");
        assert!(check_rule(&RULE, &host, "0000:02:04.0").is_empty());
    }
}
