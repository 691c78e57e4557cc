//! The fixtures of the official conformance suite, in front of the product's own handler, so that the suite tests the very
//! transports and the very handler that people use. Compiled only with the feature `conformance`, never into a release.
//!
//! The suite does not page, so the fixtures come first on page one.

#![expect(
    deprecated,
    reason = "the suite also tests what the protocol has deprecated"
)]

mod catalogue;
mod prompts;
mod rounds;
mod tools;

use std::borrow::Cow;
use std::sync::LazyLock;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, CompletionInfo,
    CustomRequest, CustomResult, GetPromptRequestParams, GetPromptResponse, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    ResourceContents, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{
    NotificationContext, RequestContext, RoleServer, SubscriptionContext, SubscriptionSink,
};
use rmcp::{ErrorData, ServerHandler};
use serde_json::{Map, json};
use tokio::sync::broadcast;

use super::handler::Gateway;

/// What a fixture pretends to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Tools,
    Prompts,
}

/// Pretended changes, for all streams of this process.
static CHANGES: LazyLock<broadcast::Sender<Change>> = LazyLock::new(|| broadcast::channel(16).0);

/// The product behind the fixtures.
pub(super) struct Fixtures {
    product: Gateway,
}

impl Fixtures {
    /// Puts the fixtures in front of `product`.
    pub(super) const fn new(product: Gateway) -> Self {
        Self { product }
    }
}

/// Whether this is the first page of a list.
fn is_first(request: Option<&PaginatedRequestParams>) -> bool {
    request.is_none_or(|request| request.cursor.is_none())
}

impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        let mut info = self.product.get_info();
        info.capabilities.logging = Some(Map::new());
        let mut prompts = rmcp::model::PromptsCapability::default();
        prompts.list_changed = Some(true);
        info.capabilities.prompts = Some(prompts);
        info
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.product.supported_protocol_versions()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        catalogue::tools()
            .into_iter()
            .find(|tool| tool.name == name)
            .or_else(|| self.product.get_tool(name))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        cx: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let first = is_first(request.as_ref());
        let mut result = self.product.list_tools(request, cx).await?;
        if first {
            result.tools.splice(0..0, catalogue::tools());
        }
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.get_tool(&request.name).is_none() {
            return self.product.call_tool(request, cx).await;
        }
        if request.name.starts_with("test_input_required") {
            return rounds::call(self.product.states(), &request, &cx);
        }
        tools::call(request, cx).await
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(catalogue::prompts()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&request)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        cx: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let first = is_first(request.as_ref());
        let mut result = self.product.list_resources(request, cx).await?;
        if first {
            result.resources.splice(0..0, catalogue::resources());
        }
        Ok(result)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        cx: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let first = is_first(request.as_ref());
        let mut result = self.product.list_resource_templates(request, cx).await?;
        if first {
            result
                .resource_templates
                .splice(0..0, catalogue::templates());
        }
        Ok(result)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let contents = match uri {
            "test://static-text" => {
                ResourceContents::text("This is the content of the static text resource.", uri)
            }
            "test://static-binary" => {
                ResourceContents::blob(catalogue::PNG, uri).with_mime_type("image/png")
            }
            "test://watched-resource" => ResourceContents::text("Watched.", uri),
            _ => match uri
                .strip_prefix("test://template/")
                .and_then(|rest| rest.strip_suffix("/data"))
            {
                Some(id) => {
                    let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
                    ResourceContents::text(data.to_string(), uri).with_mime_type("application/json")
                }
                None => return self.product.read_resource(request, cx).await,
            },
        };
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        if request.r#ref.as_prompt_name().is_none() {
            return self.product.complete(request, cx).await;
        }
        let values = ["paris", "park", "party"]
            .into_iter()
            .filter(|word| word.starts_with(&request.argument.value))
            .map(ToOwned::to_owned)
            .collect();
        let completion = CompletionInfo::with_all_values(values)
            .map_err(|message| ErrorData::internal_error(message, None))?;
        Ok(CompleteResult::new(completion))
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.product.set_level(request, cx).await
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        // The product takes only addresses of its own blocks.
        let mut fixtures = catalogue::resources().into_iter();
        if fixtures.any(|resource| resource.uri == request.uri) {
            return Ok(());
        }
        self.product.subscribe(request, cx).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.product.unsubscribe(request, cx).await
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        self.product.accepted_subscription_filter(requested)
    }

    async fn listen(&self, cx: SubscriptionContext) -> Result<(), ErrorData> {
        let pretended = tell(cx.sink().clone(), CHANGES.subscribe());
        tokio::select! {
            ended = self.product.listen(cx) => ended,
            () = pretended => Ok(()),
        }
    }

    async fn on_initialized(&self, cx: NotificationContext<RoleServer>) {
        self.product.on_initialized(cx).await;
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        cx: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        self.product.on_custom_request(request, cx).await
    }
}

/// Tells a stream about pretended changes; the sink drops what the client did not ask for.
async fn tell(sink: SubscriptionSink, mut changes: broadcast::Receiver<Change>) {
    while let Ok(change) = changes.recv().await {
        // A refusal means that this stream is about something else.
        let _ = match change {
            Change::Tools => sink.notify_tool_list_changed().await,
            Change::Prompts => sink.notify_prompt_list_changed().await,
        };
    }
    std::future::pending::<()>().await;
}
