//! What a provider tells of a person beside the ID token (OpenID Connect Core 1.0 §5.3). When an access token is issued,
//! the claims of the scopes `email` and `profile` may be told here alone (§5.4), and many providers do so.

use secrecy::{ExposeSecret, SecretString};

use super::{Claims, OidcError, Provider};

impl Provider {
    /// The claims of an ID token, with those about the person that it leaves out. Who has an address already is not asked
    /// for again: one request less that can fail.
    pub(super) async fn complete(
        &self,
        claims: Claims,
        access: Option<&SecretString>,
    ) -> Result<Claims, OidcError> {
        let metadata = self.inner.discovery.get().await?;
        let (Some(url), Some(access), None) = (&metadata.userinfo, access, claims.email()) else {
            return Ok(claims);
        };
        let told = self
            .inner
            .http
            .get_as("user information", url.clone(), access.expose_secret())
            .await?;
        let told = Claims::from(told);
        // §5.3.2: an answer about somebody else must not be used.
        if told.text("sub") != claims.text("sub") {
            return Err(OidcError::Provider {
                what: "user information",
                problem: "is about somebody else".to_owned(),
            });
        }
        // Only what is about the person: what proves the ID token never comes from here.
        let groups = self.inner.settings.group_claim.as_str();
        let personal = ["email", "email_verified", "preferred_username", groups];
        Ok(claims.with(&told, &personal))
    }
}
