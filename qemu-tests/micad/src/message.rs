//! The message that creates an instance, as the daemon reads it: whatever came, the rest zeroes.

/// Bytes of the whole message.
pub const LEN: usize = 1772;

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// `name@0`.
    pub name: String,
    /// `path@66`.
    pub path: String,
    /// `ped@322`.
    pub pedestal: String,
    /// `ped_cfg@338`.
    pub pedestal_conf: String,
    /// `debug@594`.
    pub debug: bool,
    /// `cpu_str@595`.
    pub cpus: String,
    /// `vcpu_num@724`, `max_vcpu_num`, `cpu_weight`, `cpu_capacity`, `memory`, `max_memory`.
    pub numbers: [i32; 6],
    /// `iomem@748`.
    pub iomem: String,
    /// `network@1260`.
    pub network: String,
}

impl Create {
    /// Reads what one `recv` gave.
    #[must_use]
    pub fn decode(received: &[u8]) -> Create {
        let mut bytes = [0; LEN];
        let len = received.len().min(LEN);
        bytes[..len].copy_from_slice(&received[..len]);
        let number = |index: usize| {
            let at = 724 + 4 * index;
            i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Create {
            name: text(&bytes[..66]),
            path: text(&bytes[66..322]),
            pedestal: text(&bytes[322..338]),
            pedestal_conf: text(&bytes[338..594]),
            debug: bytes[594] != 0,
            cpus: text(&bytes[595..723]),
            numbers: std::array::from_fn(number),
            iomem: text(&bytes[748..1260]),
            network: text(&bytes[1260..]),
        }
    }
}

/// Up to the first zero; the field's last byte counts as one.
fn text(field: &[u8]) -> String {
    let field = &field[..field.len() - 1];
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}
