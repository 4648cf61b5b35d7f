//! The grammar of assumptions.

use std::fmt::Display;
use std::str::FromStr;

use super::{AssumeError, Assumption, DeviceRef, Kind};
use crate::facts::{DriverName, ModuleName, Switch};
use crate::pci::{ClassCode, PciId};

/// The longest assumption, in bytes.
const MAX_BYTES: usize = 512;

impl FromStr for Assumption {
    type Err = AssumeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: String| AssumeError::Syntax { text: text.chars().take(80).collect(), why };
        if text.len() > MAX_BYTES {
            return Err(wrong(format!("it is longer than {MAX_BYTES} bytes")));
        }
        let (name, value) = text.split_once('=').ok_or_else(|| wrong("it has no `=`".to_owned()))?;
        let kind = match name.rsplit_once('@') {
            Some((whose, what)) => of_one(whose, what, value),
            None => of_all(name, value),
        };
        kind.map(|kind| Self { text: text.to_owned(), kind }).map_err(wrong)
    }
}

fn of_all(name: &str, value: &str) -> Result<Kind, String> {
    match name {
        "iommu" => switch(value).map(Kind::Iommu),
        "intremap" => switch(value).map(Kind::InterruptRemapping),
        "kernel" if crate::facts::KernelVersion::from_release(value).is_some() => {
            Ok(Kind::Kernel(value.to_owned()))
        }
        "kernel" => Err(format!("{value:?} is no release such as 6.12.0")),
        "cmdline" if value.trim().is_empty() => Err("no word is given".to_owned()),
        "cmdline" => Ok(Kind::Word(value.to_owned())),
        "param" => {
            let shape = || "a parameter is MODULE.NAME=VALUE".to_owned();
            let (name, value) = value.split_once('=').ok_or_else(shape)?;
            let (module, name) = name.split_once('.').ok_or_else(shape)?;
            let module = ModuleName::new(module).map_err(told)?;
            Ok(Kind::Parameter { module, name: name.to_owned(), value: value.to_owned() })
        }
        "slot" => Ok(Kind::Move { device: None, to: parsed(value)? }),
        "remove" => device(value).map(Kind::Remove),
        "add" => {
            let (what, at) = value.split_once('@').ok_or("a card is added with its place: add=ID@PLACE")?;
            let mut parts = what.splitn(3, ':');
            let (vendor, model) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let id: PciId = parsed(&format!("{vendor}:{model}"))?;
            let class = parts.next().map(class).transpose()?;
            Ok(Kind::Add { id, class, at: parsed(at)? })
        }
        other => Err(format!("nothing is assumed of {other:?}")),
    }
}

fn of_one(whose: &str, what: &str, value: &str) -> Result<Kind, String> {
    match what {
        "slot" => Ok(Kind::Move { device: Some(device(whose)?), to: parsed(value)? }),
        "swap" => Ok(Kind::Swap(device(whose)?, device(value)?)),
        "driver" if value == "none" => Ok(Kind::Driver { device: device(whose)?, driver: None }),
        "driver" => {
            let driver = DriverName::new(value).map_err(told)?;
            Ok(Kind::Driver { device: device(whose)?, driver: Some(driver) })
        }
        "memory" => Ok(Kind::Memory { vm: parsed(whose)?, memory: parsed(value)? }),
        other => Err(format!("nothing is assumed of a device's {other:?}")),
    }
}

fn told(error: impl Display) -> String {
    error.to_string()
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(told)
}

fn switch(text: &str) -> Result<Switch, String> {
    match text {
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        other => Err(format!("{other:?} is neither on nor off")),
    }
}

/// An address has a function behind a point, an id has none.
fn device(text: &str) -> Result<DeviceRef, String> {
    if text.contains('.') { parsed(text).map(DeviceRef::At) } else { parsed(text).map(DeviceRef::Is) }
}

fn class(text: &str) -> Result<ClassCode, String> {
    let plain = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bits = if plain { u32::from_str_radix(text, 16).ok() } else { None };
    bits.map(ClassCode::from_bits).ok_or_else(|| "a class has six hexadecimal digits".to_owned())
}
