//! The JSON of a diagnosis. Types here are the contract; nothing else in the room is serialised.

/// `slotwise.diagnose/1`.
pub mod v1 {
    use serde::{Deserialize, Serialize};

    use crate::diagnose::{self, Kind};

    /// Value of [`Diagnosis::schema`].
    pub const SCHEMA: &str = "slotwise.diagnose/1";

    /// A whole diagnosis.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Diagnosis {
        /// [`SCHEMA`].
        pub schema: String,
        /// What the inputs say as a whole.
        pub verdict: Verdict,
        /// The likeliest cause first.
        pub findings: Vec<Finding>,
    }

    /// What the inputs say as a whole.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Verdict {
        /// Something is wrong with a passthrough.
        Fault,
        /// Nothing is wrong with a passthrough.
        NoFault,
        /// Nothing in the inputs is known.
        Unrecognised,
    }

    /// What a finding says.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum FindingVerdict {
        /// Something is wrong with a passthrough.
        Fault,
        /// The lines belong to a working setup.
        Harmless,
        /// A failure, but not of a passthrough.
        Unrelated,
    }

    /// One cause.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Finding {
        /// Id of the cause.
        pub cause: String,
        /// What it says.
        pub verdict: FindingVerdict,
        /// Probability, 0 to 1, rounded to three digits.
        pub confidence: f64,
        /// PCI addresses, `DDDD:BB:DD.F`.
        pub devices: Vec<String>,
        /// The lines that show it.
        pub evidence: Vec<Evidence>,
        /// One to three sentences.
        pub explanation: String,
        /// What to do, least trouble first.
        pub remedies: Vec<String>,
        /// What the host shows of it; not there where no host was looked at.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub host: Vec<HostFact>,
    }

    /// What the host shows of a finding.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct HostFact {
        /// PCI address, `DDDD:BB:DD.F`, or null if it is about the host as a whole.
        pub device: Option<String>,
        /// How it bears on the finding.
        pub bearing: Bearing,
        /// What is so.
        pub text: String,
    }

    /// How a fact of the host bears on a finding.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Bearing {
        /// The host still shows what the log says.
        Confirms,
        /// The host shows the opposite now.
        SinceFixed,
        /// Neither.
        Context,
    }

    /// A line of an input.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Evidence {
        /// Name of the input, `-` for standard input.
        pub input: String,
        /// Line, from 1.
        pub line: u64,
        /// The line.
        pub text: String,
    }

    impl From<&diagnose::Diagnosis> for Diagnosis {
        fn from(diagnosis: &diagnose::Diagnosis) -> Self {
            Self {
                schema: SCHEMA.to_owned(),
                verdict: match diagnosis.verdict {
                    diagnose::Verdict::Fault => Verdict::Fault,
                    diagnose::Verdict::NoFault => Verdict::NoFault,
                    diagnose::Verdict::Unrecognised => Verdict::Unrecognised,
                },
                findings: diagnosis.findings.iter().map(Finding::from).collect(),
            }
        }
    }

    impl From<&diagnose::Finding> for Finding {
        fn from(finding: &diagnose::Finding) -> Self {
            let evidence = finding.evidence.iter();
            Self {
                cause: finding.cause.id.to_owned(),
                verdict: match finding.cause.kind {
                    Kind::Fault => FindingVerdict::Fault,
                    Kind::Harmless => FindingVerdict::Harmless,
                    Kind::Unrelated => FindingVerdict::Unrelated,
                },
                confidence: (finding.confidence * 1000.0).round() / 1000.0,
                devices: finding.devices.iter().map(ToString::to_string).collect(),
                evidence: evidence
                    .map(|line| Evidence {
                        input: line.input.clone(),
                        line: line.line,
                        text: line.text.clone(),
                    })
                    .collect(),
                explanation: finding.explanation.clone(),
                remedies: finding.remedies.iter().map(|&remedy| remedy.to_owned()).collect(),
                host: finding.host.iter().map(HostFact::from).collect(),
            }
        }
    }

    impl From<&diagnose::HostFact> for HostFact {
        fn from(fact: &diagnose::HostFact) -> Self {
            Self {
                device: fact.device.map(|device| device.to_string()),
                bearing: match fact.bearing {
                    diagnose::Bearing::Confirms => Bearing::Confirms,
                    diagnose::Bearing::SinceFixed => Bearing::SinceFixed,
                    diagnose::Bearing::Context => Bearing::Context,
                },
                text: fact.text.clone(),
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::diagnose::{Input, diagnose};

        #[test]
        fn the_contract_has_these_names_and_no_others() {
            let bytes = b"vfio 0000:03:04.0: group 9 is not viable";
            let wire = Diagnosis::from(&diagnose(&[Input { name: "-", bytes }]));
            let json = serde_json::to_value(&wire).expect("plain data");
            let keys = |value: &serde_json::Value| {
                let mut keys: Vec<String> =
                    value.as_object().into_iter().flatten().map(|(k, _)| k.clone()).collect();
                keys.sort();
                keys
            };
            assert_eq!(keys(&json), ["findings", "schema", "verdict"]);
            assert_eq!(json["verdict"], "fault");
            let finding = &json["findings"][0];
            let expected =
                ["cause", "confidence", "devices", "evidence", "explanation", "remedies", "verdict"];
            assert_eq!(keys(finding), expected);
            assert_eq!(finding["devices"][0], "0000:03:04.0");
            assert_eq!(keys(&finding["evidence"][0]), ["input", "line", "text"]);
            assert_eq!(finding["evidence"][0]["line"], 1);
        }
    }
}
