//! A list of the host's CPUs.

use std::fmt;

/// Bytes of the longest list: all CPUs that may be in one, one by one, have 4010.
const LIST_LIMIT: usize = 4 << 10;
/// One more than the highest number: what the C library's set holds.
const MOST: u32 = 1024;

/// CPUs by their numbers, the lowest first; at least one. Displayed in the kernel's shortest form, `0-2,5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(Vec<u32>);

impl CpuList {
    /// Reads a list in the kernel's form (cpuset(7)): numbers and ranges between commas, up to 1023.
    pub fn parse(list: &str) -> Option<CpuList> {
        if list.len() > LIST_LIMIT {
            return None;
        }
        let mut members = [false; MOST as usize];
        for range in list.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (number(first)?, number(last)?);
            if first > last || last >= MOST {
                return None;
            }
            members[first as usize..=last as usize].fill(true);
        }
        Some(CpuList((0..MOST).filter(|cpu| members[*cpu as usize]).collect()))
    }

    /// The numbers, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    fn has(&self, cpu: u32) -> bool {
        self.0.binary_search(&cpu).is_ok()
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.0.len() as u32
    }

    /// Those that are in both; `None` if there are none.
    pub fn and(&self, other: &CpuList) -> Option<CpuList> {
        let both: Vec<u32> = self.iter().filter(|cpu| other.has(*cpu)).collect();
        (!both.is_empty()).then_some(CpuList(both))
    }

    /// Those that are in either.
    pub fn or(&self, other: &CpuList) -> CpuList {
        CpuList((0..MOST).filter(|cpu| self.has(*cpu) || other.has(*cpu)).collect())
    }

    /// True if all of them are in `other`.
    pub fn within(&self, other: &CpuList) -> bool {
        self.iter().all(|cpu| other.has(cpu))
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if_eq(&(last + 1)) {
                last = next;
            }
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

/// Digits only: Rust would take a sign as well.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(list: &str) -> Option<String> {
        CpuList::parse(list).map(|cpus| cpus.to_string())
    }

    #[test]
    fn lists_are_read_as_the_kernel_writes_them() {
        assert_eq!(canonical("0").as_deref(), Some("0"));
        assert_eq!(canonical("0-2,5,7-8").as_deref(), Some("0-2,5,7-8"));
        assert_eq!(canonical("3,1-1,3,2").as_deref(), Some("1-3"));
        assert_eq!(canonical("1023").as_deref(), Some("1023"));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for list in ["", " ", ",", "0,", "-1", "1-", "2-1", "+1", "0x1", "0-1:2", "all", "1024", "0-1024"] {
            assert_eq!(canonical(list), None, "{list}");
        }
        assert_eq!(canonical("0-18446744073709551615"), None);
        assert_eq!(canonical(&"0-1023,".repeat(1000)), None);
    }

    #[test]
    fn lists_are_sets() {
        let [low, high, all] = ["0-2", "2-3", "0-3"].map(|list| CpuList::parse(list).expect("a list"));
        assert_eq!(low.and(&high).map(|both| both.to_string()).as_deref(), Some("2"));
        assert_eq!(low.and(&CpuList::parse("3").expect("a list")), None);
        assert_eq!(low.or(&high), all);
        assert!(low.within(&all) && !all.within(&low));
        assert_eq!(all.count(), 4);
    }
}
