//! Wildcards: `*` is any run of characters (also none), `?` is any one character.

/// Whether all of `text` is what `pattern` describes. Takes at most the product of both lengths in steps.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star stands, and how much of the text it has swallowed so far.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&character) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == character => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, swallowed)) = star else { return false };
                star = Some((at, swallowed + 1));
                p = at + 1;
                t = swallowed + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|&rest| rest == '*')
}

/// Whether `text` has a wildcard in it.
pub(super) fn is_wild(text: &str) -> bool {
    text.contains(['*', '?'])
}
