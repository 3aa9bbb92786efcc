//! The system log, for the few lines a library may write there.

use std::ffi::CString;

/// Writes one line, as a warning of a user's program.
pub fn line(text: &str) {
    let Ok(text) = CString::new(text) else { return };
    let priority = libc::LOG_USER | libc::LOG_WARNING;
    // SAFETY: the format takes one C string, which `text` is, and both live through the call.
    unsafe { libc::syslog(priority, c"%s".as_ptr(), text.as_ptr()) };
}
