pub(crate) fn run(_fast: bool) -> crate::Result {
    Ok(())
}
