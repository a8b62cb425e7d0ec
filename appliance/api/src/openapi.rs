//! The OpenAPI text, built from the list of endpoints and the wire types.

use serde_json::Value;
use utoipa::openapi::path::{
    Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, HttpMethod, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi,
    OpenApiBuilder, PathsBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
    SecurityRequirement,
};
use utoipa::{PartialSchema, ToSchema};

use crate::answer::{Admission, Problem};
use crate::endpoint::{Endpoint, Method};
use crate::guests::{FreshInvitation, Invitations};
use crate::reachability::Reachability;
use crate::request;
use crate::sip_ladder::SipLadder;
use crate::snapshot::Snapshot;

const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";
const TOKEN: &str = "token";

/// The description of the API as an OpenAPI 3.1 document.
#[must_use]
pub fn openapi() -> Value {
    serde_json::to_value(document()).expect("OpenAPI types are plain data with text keys")
}

fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("roomd")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The room's API, on a Unix socket (no token) and on loopback TCP (bearer token). \
             Times are Unix times in milliseconds.",
        ))
        .license(Some(
            LicenseBuilder::new().name("MIT OR Apache-2.0").build(),
        ))
        .build();
    let mut paths = PathsBuilder::new().build();
    for endpoint in Endpoint::ALL {
        paths.add_path_operation(endpoint.path(), vec![method(endpoint)], operation(endpoint));
    }
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components()))
        .security(Some([SecurityRequirement::new(
            TOKEN,
            Vec::<String>::new(),
        )]))
        .build()
}

fn method(endpoint: Endpoint) -> HttpMethod {
    match endpoint.method() {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Delete => HttpMethod::Delete,
    }
}

fn components() -> utoipa::openapi::Components {
    let mut schemas = Vec::new();
    collect::<Snapshot>(&mut schemas);
    collect::<SipLadder>(&mut schemas);
    collect::<Admission>(&mut schemas);
    collect::<Problem>(&mut schemas);
    collect::<request::Call>(&mut schemas);
    collect::<request::Dtmf>(&mut schemas);
    collect::<request::Register>(&mut schemas);
    collect::<request::SetMicrophone>(&mut schemas);
    collect::<request::SetCamera>(&mut schemas);
    collect::<request::SetSlides>(&mut schemas);
    collect::<request::SetVolume>(&mut schemas);
    collect::<request::SetLayout>(&mut schemas);
    collect::<request::Invite>(&mut schemas);
    collect::<Invitations>(&mut schemas);
    collect::<FreshInvitation>(&mut schemas);
    collect::<Reachability>(&mut schemas);
    let token = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(TOKEN, token)
        .build()
}

fn collect<T: ToSchema + PartialSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn operation(endpoint: Endpoint) -> Operation {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(endpoint.operation_id()))
        .summary(Some(endpoint.summary()))
        .response("default", problem_response());
    if endpoint.names_leg() {
        operation = operation.parameter(leg_parameter("leg", ParameterIn::Path, Required::True));
    }
    if endpoint.names_invitation() {
        let description = "The number of an invitation, from the list of them";
        let parameter = number_parameter("invitation", description);
        operation = operation.parameter(parameter);
    }
    if matches!(
        endpoint,
        Endpoint::FarEndPicture | Endpoint::FarEndSlidesPicture
    ) {
        operation = operation.parameter(leg_parameter("leg", ParameterIn::Query, Required::False));
    }
    if let Some(body) = body_of(endpoint) {
        let content = Content::new(Some(Ref::from_schema_name(body)));
        let body = RequestBodyBuilder::new()
            .content(JSON, content)
            .required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    for (status, response) in responses_of(endpoint) {
        operation = operation.response(status, response);
    }
    operation.build()
}

fn leg_parameter(name: &str, place: ParameterIn, required: Required) -> Parameter {
    numbered(name, "The id of a leg, from the snapshot")
        .parameter_in(place)
        .required(required)
        .build()
}

fn number_parameter(name: &str, description: &str) -> Parameter {
    numbered(name, description)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .build()
}

fn numbered(name: &str, description: &str) -> ParameterBuilder {
    let integer = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
        .minimum(Some(0));
    ParameterBuilder::new()
        .name(name)
        .description(Some(description))
        .schema(Some(integer))
}

fn body_of(endpoint: Endpoint) -> Option<String> {
    let name = match endpoint {
        Endpoint::Call => request::Call::name(),
        Endpoint::Dtmf => request::Dtmf::name(),
        Endpoint::Register => request::Register::name(),
        Endpoint::Microphone => request::SetMicrophone::name(),
        Endpoint::Camera => request::SetCamera::name(),
        Endpoint::Slides => request::SetSlides::name(),
        Endpoint::Volume => request::SetVolume::name(),
        Endpoint::Layout => request::SetLayout::name(),
        Endpoint::Invite => request::Invite::name(),
        Endpoint::Snapshot
        | Endpoint::Events
        | Endpoint::Join
        | Endpoint::Answer
        | Endpoint::Decline
        | Endpoint::Hold
        | Endpoint::Resume
        | Endpoint::HangUp
        | Endpoint::HangUpAll
        | Endpoint::SentPicture
        | Endpoint::FarEndPicture
        | Endpoint::SentSlidesPicture
        | Endpoint::FarEndSlidesPicture
        | Endpoint::SipLadder
        | Endpoint::RefusedSipLadder
        | Endpoint::Invitations
        | Endpoint::RevokeInvitation
        | Endpoint::RenewCertificate
        | Endpoint::TestGuests
        | Endpoint::OpenApi
        | Endpoint::Metrics => return None,
    };
    Some(name.into_owned())
}

fn responses_of(endpoint: Endpoint) -> Vec<(&'static str, Response)> {
    match endpoint {
        Endpoint::Snapshot => vec![("200", of_type(JSON, &Snapshot::name(), "The room"))],
        Endpoint::Events => {
            let description = "A WebSocket whose text messages are snapshots";
            vec![("101", of_type(JSON, &Snapshot::name(), description))]
        }
        Endpoint::SentPicture
        | Endpoint::FarEndPicture
        | Endpoint::SentSlidesPicture
        | Endpoint::FarEndSlidesPicture => {
            vec![("200", of_media_type("image/jpeg", "The picture"))]
        }
        Endpoint::SipLadder | Endpoint::RefusedSipLadder => {
            vec![("200", of_type(JSON, &SipLadder::name(), "The messages"))]
        }
        Endpoint::Invitations => {
            let description = "The links";
            vec![("200", of_type(JSON, &Invitations::name(), description))]
        }
        Endpoint::Invite => {
            let description = "The link, which nobody is told again";
            vec![("200", of_type(JSON, &FreshInvitation::name(), description))]
        }
        Endpoint::RevokeInvitation => {
            let description = "The link is no good any more";
            vec![("200", of_type(JSON, &Admission::name(), description))]
        }
        Endpoint::RenewCertificate => {
            let description = "A certificate is ordered as soon as its server lets it, or is being ordered already";
            vec![("200", of_type(JSON, &Admission::name(), description))]
        }
        Endpoint::TestGuests => {
            let description = "What was found";
            vec![("200", of_type(JSON, &Reachability::name(), description))]
        }
        Endpoint::OpenApi => vec![("200", of_media_type(JSON, "An OpenAPI 3.1 document"))],
        Endpoint::Metrics => vec![("200", of_media_type("text/plain", "The metrics"))],
        Endpoint::Call
        | Endpoint::Join
        | Endpoint::Answer
        | Endpoint::Decline
        | Endpoint::Hold
        | Endpoint::Resume
        | Endpoint::Dtmf
        | Endpoint::Register
        | Endpoint::HangUp
        | Endpoint::HangUpAll
        | Endpoint::Microphone
        | Endpoint::Camera
        | Endpoint::Slides
        | Endpoint::Volume
        | Endpoint::Layout => vec![
            (
                "200",
                of_type(JSON, &Admission::name(), "Accepted, or already so"),
            ),
            (
                "409",
                of_type(JSON, &Admission::name(), "Denied by the room"),
            ),
        ],
    }
}

fn problem_response() -> Response {
    of_type(
        PROBLEM_JSON,
        &Problem::name(),
        "The request did not reach the room",
    )
}

fn of_type(media_type: &str, schema: &str, description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name(schema)));
    ResponseBuilder::new()
        .description(description)
        .content(media_type, content)
        .build()
}

fn of_media_type(media_type: &str, description: &str) -> Response {
    let content = Content::new(None::<RefOr<Schema>>);
    ResponseBuilder::new()
        .description(description)
        .content(media_type, content)
        .build()
}
