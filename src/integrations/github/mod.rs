//! GitHub.

use crate::kit::integration::{Account, Api, Auth, CredentialIn, Integration, Pace, Provider};
use futures_util::FutureExt;

pub(super) static INTEGRATION: Integration = Integration {
    id: "github",
    name: "GitHub",
    summary: "",
    icon: "",
    providers: &[Provider {
        id: "github",
        name: "GitHub",
        scheme: "github",
        auth: Auth::None,
        api: Api {
            base_url: "",
            headers: &[],
            credential: CredentialIn::Bearer,
            download_hosts: &[],
            pace: Pace {
                per_second: 10,
                burst: 20,
            },
            classify: |_| None,
        },
        identify: |_| async { Ok(Account::default()) }.boxed(),
    }],
    toolsets: &[],
    aliases: &[],
};
