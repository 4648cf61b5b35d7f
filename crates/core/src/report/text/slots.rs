//! Where else cards could sit, for a person.

use crate::plan::{Judgement, SlotAdvice, SlotOption};
use crate::report::{Role, Text};

/// Places that are shown; the others are in the JSON.
const SHOWN: usize = 6;

/// The places for each card that a finding stands against.
pub(super) fn slots(text: &mut Text, list: &[SlotAdvice]) {
    for advice in list {
        text.gap().line(Role::Strong, format!("other places for {}", advice.device));
        text.add(Role::Faint, format!("  [{}]", advice.rules.join(", ")));
        if advice.options.is_empty() {
            text.line(
                Role::Plain,
                "  unknown: nothing tells which other places of this board it could go to",
            );
        }
        for option in advice.options.iter().take(SHOWN) {
            one(text, advice, option);
        }
        let more = advice.options.len().saturating_sub(SHOWN) + advice.left_out;
        if more > 0 {
            text.line(Role::Faint, format!("  and {more} more, {} of them not looked at", advice.left_out));
        }
    }
}

fn one(text: &mut Text, advice: &SlotAdvice, option: &SlotOption) {
    let role = match option.judgement {
        Judgement::Good => Role::Good,
        Judgement::Doubtful => Role::Caution,
        Judgement::Bad => Role::Bad,
    };
    let (place, word) = if option.exchange {
        (format!("change places with {}", option.place), "swap")
    } else {
        (format!("slot {} ({})", option.place.device(), option.place), "slot")
    };
    text.line(role, format!("  {:<8}", option.judgement.name())).add(Role::Plain, format!("  {place}"));
    if !option.same_as.is_empty() {
        let same: Vec<String> = option.same_as.iter().map(|place| place.device().to_string()).collect();
        text.add(Role::Faint, format!(", as slots {}", same.join(", ")));
    }
    text.add(Role::Faint, format!("  [{}]", option.confidence.name()));
    for reason in &option.reasons {
        text.line(Role::Faint, format!("            {reason}"));
    }
    if option.judgement != Judgement::Bad {
        text.line(
            Role::Faint,
            format!("            try it: --assume {}@{word}={}", advice.device, option.place),
        );
    }
}
