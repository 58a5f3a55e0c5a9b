import { auditActions, roles } from "../../src/audit/index.js";

/** The directives as a schema that is written in SDL declares them. */
export const directiveTypes = /* GraphQL */ `
  directive @audited(resource: String!, action: [AuditAction!]!, id: String!) on FIELD_DEFINITION
  directive @unaudited(reason: String!) on FIELD_DEFINITION
  directive @requires(roles: [Role!]!) on FIELD_DEFINITION
  enum AuditAction {
    ${auditActions.join("\n    ")}
  }
  enum Role {
    ${roles.join("\n    ")}
  }
`;
