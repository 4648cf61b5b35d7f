//! The journal's file format. A format that was written stays readable: `v1` is frozen by a golden test.

/// `slotwise.journal/1`: JSON lines. Unknown fields and entries are errors; PCI addresses are `DDDD:BB:DD.F`, boot
/// ids UUIDs, times seconds since 1970, UTC.
pub(super) mod v1 {
    use serde::{Deserialize, Serialize};
    use slotwise_core::action::{self, FilePath, Parameter};
    use slotwise_core::facts::{DriverName, ModuleName};
    use slotwise_core::pci::PciAddress;

    /// What the first line says.
    pub(in super::super) const SCHEMA: &str = "slotwise.journal/1";

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "entry", rename_all = "kebab-case", deny_unknown_fields)]
    pub(in super::super) enum Line {
        Begin { schema: String, id: u32, boot_id: String, command: String, started_unix_s: u64, steps: usize },
        Intent { step: String, action: Action, prior: State, mode: Option<u32>, directories: Vec<String> },
        Done { step: String },
        Failed { step: String, error: String },
        Applied {},
        UndoBegin { cause: Cause, boot_id: String, started_unix_s: u64 },
        Restore { action: Action },
        Left { resource: String, why: String },
        Undone { left: usize },
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub(in super::super) enum Cause {
        Failure,
        Request,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
    pub(in super::super) enum Action {
        LoadModule { module: String, parameters: Vec<(String, String)> },
        UnloadModule { module: String },
        SetDriverOverride { device: String, driver: Option<String> },
        Unbind { device: String, driver: String },
        Probe { device: String, driver: String },
        WriteFile { path: String, content: String },
        RemoveFile { path: String },
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "state", rename_all = "kebab-case", deny_unknown_fields)]
    pub(in super::super) enum State {
        ModuleLoaded {},
        ModuleAbsent {},
        DriverOverride { driver: Option<String> },
        Driver { driver: Option<String> },
        File { content: Option<String> },
    }

    impl From<&action::Action> for Action {
        fn from(action: &action::Action) -> Self {
            match action {
                action::Action::LoadModule { module, parameters } => Self::LoadModule {
                    module: module.to_string(),
                    parameters: parameters
                        .iter()
                        .map(|p| (p.name().to_owned(), p.value().to_owned()))
                        .collect(),
                },
                action::Action::UnloadModule { module } => Self::UnloadModule { module: module.to_string() },
                action::Action::SetDriverOverride { device, driver } => Self::SetDriverOverride {
                    device: device.to_string(),
                    driver: driver.as_ref().map(ToString::to_string),
                },
                action::Action::Unbind { device, driver } => {
                    Self::Unbind { device: device.to_string(), driver: driver.to_string() }
                }
                action::Action::Probe { device, driver } => {
                    Self::Probe { device: device.to_string(), driver: driver.to_string() }
                }
                action::Action::WriteFile { path, content } => {
                    Self::WriteFile { path: path.to_string(), content: content.clone() }
                }
                action::Action::RemoveFile { path } => Self::RemoveFile { path: path.to_string() },
            }
        }
    }

    fn address(text: &str) -> Result<PciAddress, String> {
        text.parse::<PciAddress>().map_err(|error| error.to_string())
    }

    fn module(text: &str) -> Result<ModuleName, String> {
        ModuleName::new(text).map_err(|error| error.to_string())
    }

    fn driver(text: Option<String>) -> Result<Option<DriverName>, String> {
        text.map(|text| DriverName::new(&text)).transpose().map_err(|error| error.to_string())
    }

    impl TryFrom<Action> for action::Action {
        type Error = String;

        fn try_from(action: Action) -> Result<Self, String> {
            Ok(match action {
                Action::LoadModule { module, parameters } => Self::LoadModule {
                    module: self::module(&module)?,
                    parameters: parameters
                        .iter()
                        .map(|(name, value)| Parameter::new(name, value))
                        .collect::<Result<_, _>>()
                        .map_err(|error| error.to_string())?,
                },
                Action::UnloadModule { module } => Self::UnloadModule { module: self::module(&module)? },
                Action::SetDriverOverride { device, driver: name } => {
                    Self::SetDriverOverride { device: address(&device)?, driver: driver(name)? }
                }
                Action::Unbind { device, driver } => Self::Unbind {
                    device: address(&device)?,
                    driver: DriverName::new(&driver).map_err(|error| error.to_string())?,
                },
                Action::Probe { device, driver } => Self::Probe {
                    device: address(&device)?,
                    driver: DriverName::new(&driver).map_err(|error| error.to_string())?,
                },
                Action::WriteFile { path, content } => Self::WriteFile {
                    path: FilePath::new(&path).map_err(|error| error.to_string())?,
                    content,
                },
                Action::RemoveFile { path } => {
                    Self::RemoveFile { path: FilePath::new(&path).map_err(|error| error.to_string())? }
                }
            })
        }
    }

    impl From<&action::State> for State {
        fn from(state: &action::State) -> Self {
            let text = |driver: &Option<DriverName>| driver.as_ref().map(ToString::to_string);
            match state {
                action::State::ModuleLoaded => Self::ModuleLoaded {},
                action::State::ModuleAbsent => Self::ModuleAbsent {},
                action::State::DriverOverride(driver) => Self::DriverOverride { driver: text(driver) },
                action::State::Driver(driver) => Self::Driver { driver: text(driver) },
                action::State::File(content) => Self::File { content: content.clone() },
            }
        }
    }

    impl TryFrom<State> for action::State {
        type Error = String;

        fn try_from(state: State) -> Result<Self, String> {
            Ok(match state {
                State::ModuleLoaded {} => Self::ModuleLoaded,
                State::ModuleAbsent {} => Self::ModuleAbsent,
                State::DriverOverride { driver: name } => Self::DriverOverride(driver(name)?),
                State::Driver { driver: name } => Self::Driver(driver(name)?),
                State::File { content } => Self::File(content),
            })
        }
    }
}
