//! Passwords: argon2id with 19 MiB, two passes and one lane (RFC 9106, at the size that OWASP's cheat sheet names), a few
//! at a time, so that signing in cannot use up the machine's memory.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::AuthError;
use crate::vault::{self, VaultError};

/// Shortest new password, in characters (NIST SP 800-63B asks for 8 at least).
const SHORTEST: usize = 12;
/// Longest password that is looked at, in bytes.
const LONGEST: usize = 1_024;
/// How long a sign-in waits for its turn to hash.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a password is compared with when nobody has the address: of the same cost as a real one, and made by none.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and compares.
pub(super) struct Passwords {
    argon: Argon2<'static>,
    turns: Arc<Semaphore>,
}

impl Passwords {
    /// Twice as many at once as there are processors.
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let params = Params::new(19 * 1_024, 2, 1, None).unwrap_or(Params::DEFAULT);
        Self {
            argon: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            turns: Arc::new(Semaphore::new(2 * processors)),
        }
    }

    /// The string to keep of a new password.
    pub(super) async fn hash(&self, password: SecretString) -> Result<String, AuthError> {
        let salt = vault::random_secret("").ok_or(VaultError::Randomness)?;
        let salt = vault::hash(salt.expose_secret());
        let argon = self.argon.clone();
        let hashed = self
            .alone(move || {
                let hash: Result<PasswordHash, _> =
                    argon.hash_password_with_salt(password.expose_secret().as_bytes(), &salt[..16]);
                hash.map(|hash| hash.to_string())
            })
            .await?;
        hashed.map_err(|_| AuthError::Busy)
    }

    /// Whether the password is the one that `hash` was made of. Takes as long when there is no hash.
    pub(super) async fn fits(
        &self,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, AuthError> {
        if password.expose_secret().len() > LONGEST {
            return Ok(false);
        }
        let argon = self.argon.clone();
        self.alone(move || {
            let known = hash.is_some();
            let hash = hash.as_deref().unwrap_or(NOBODY);
            let fits = PasswordHash::new(hash)
                .map(|hash| argon.verify_password(password.expose_secret().as_bytes(), &hash));
            matches!(fits, Ok(Ok(()))) && known
        })
        .await
    }

    /// Runs work that keeps a processor and memory busy, away from the threads that serve.
    async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AuthError> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(AuthError::Busy);
        };
        let worked = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        worked.await.map_err(|_| AuthError::Busy)
    }
}

/// Whether a new password is long enough and not the address itself. There are no rules of composition: they make
/// passwords worse.
pub(super) fn check_new(password: &SecretString, email: &str) -> Result<(), AuthError> {
    let text = password.expose_secret();
    let characters = text.chars().count();
    if characters < SHORTEST {
        return Err(AuthError::WeakPassword("use at least 12 characters"));
    }
    if text.len() > LONGEST {
        return Err(AuthError::WeakPassword("use at most 1,024 bytes"));
    }
    let first = text.chars().next();
    if text.chars().all(|other| Some(other) == first) {
        return Err(AuthError::WeakPassword("use more than one character"));
    }
    let lower = text.to_lowercase();
    if lower.contains(&email.to_lowercase()) && !email.is_empty() {
        return Err(AuthError::WeakPassword("leave your e-mail address out"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new();
        let hash = passwords
            .hash(secret("a long enough phrase"))
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        for (password, hash, expected) in [
            ("a long enough phrase", Some(hash.clone()), true),
            ("a long enough phrasE", Some(hash.clone()), false),
            ("", Some(hash), false),
            ("", None, false),
            ("a long enough phrase", Some("no hash".to_owned()), false),
            ("a long enough phrase", None, false),
        ] {
            assert_eq!(
                passwords.fits(secret(password), hash).await.unwrap(),
                expected
            );
        }
        assert!(PasswordHash::new(NOBODY).is_ok());
    }

    #[test]
    fn new_passwords_are_long() {
        for (password, good) in [
            ("elevenchars", false),
            ("twelve chars", true),
            ("ääääääääääää", false),
            ("zwölf Zeichen", true),
            ("xx me@example.test xx", false),
        ] {
            assert_eq!(
                check_new(&secret(password), "Me@example.test").is_ok(),
                good,
                "{password}"
            );
        }
        assert!(check_new(&secret(&"ab".repeat(600)), "").is_err());
    }
}
