use std::time::Duration;

use mimi_pseudonym::Entropy;

/// How long a client waits between fetching a token and spending it: exponentially distributed with the given mean, at
/// most eight times the mean. A token that is spent at once is tied to its issuing by the time of both.
pub fn waiting_time(mean: Duration, entropy: &mut dyn Entropy) -> Duration {
    let mut octets = [0; 8];
    entropy.fill(&mut octets);
    // 53 bits, as many as an f64 has; above zero, so that the logarithm exists.
    let uniform = ((u64::from_be_bytes(octets) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    let times = (-uniform.ln()).clamp(0.0, 8.0);
    mean.mul_f64(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimi_pseudonym::SeededEntropy;

    #[test]
    fn the_mean_is_the_mean_and_the_end_is_eight_times_that() {
        let hour = Duration::from_secs(3600);
        let mut entropy = SeededEntropy::new([4; 32]);
        let drawn: Vec<Duration> = (0..20_000).map(|_| waiting_time(hour, &mut entropy)).collect();
        let mean = drawn.iter().sum::<Duration>().as_secs_f64() / 20_000.0;
        assert!((mean / 3600.0 - 1.0).abs() < 0.03, "{mean}");
        assert!(drawn.iter().all(|waiting| *waiting <= hour * 8));
        assert!(drawn.iter().any(|waiting| *waiting > hour * 6));
        struct Highest;
        impl Entropy for Highest {
            fn fill(&mut self, buffer: &mut [u8]) {
                buffer.fill(0);
            }
        }
        assert_eq!(waiting_time(hour, &mut Highest), hour * 8);
    }
}
