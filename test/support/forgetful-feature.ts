import { Column, Entity, PrimaryColumn } from "typeorm";
import { Audited, defineAuditedResource, ignore, track, Unaudited } from "../../src/audit/index.js";
import { Arg, Field, ID, InputType, Mutation, ObjectType, Query, Resolver } from "../../src/audit/type-graphql.js";
import type { Feature } from "../../src/feature.js";
import { features } from "../../src/features.js";

/**
 * A feature whose developer forgot what can be forgotten. Loaded before the server (`NODE_OPTIONS=--import=…`), it is
 * among those that the server is made of.
 */
@ObjectType()
@Entity({ schema: "app", name: "lamp", synchronize: false })
class Lamp {
  @PrimaryColumn({ type: "text", name: "tenant_id" })
  tenantId!: string;

  @Field(() => ID)
  @PrimaryColumn("uuid")
  id!: string;

  @Column({ type: "text" })
  colour!: string;

  @Column({ type: "text", name: "api_token" })
  apiToken!: string;
}

@InputType()
class HangLampInput {
  @Field(() => String)
  pin!: string;
}

@Resolver()
class LampResolver {
  @Unaudited("It reads.")
  @Query(() => Lamp, { nullable: true })
  lamp(@Arg("id", () => ID) _id: string): null {
    return null;
  }

  @Mutation(() => Lamp, { nullable: true })
  dimLamp(@Arg("id", () => ID) _id: string): null {
    return null;
  }

  @Audited({ resource: "torch", action: "UPDATE", id: "input.id" })
  @Mutation(() => Lamp, { nullable: true })
  paintLamp(@Arg("lampId", () => ID) _id: string): null {
    return null;
  }

  @Audited({ resource: "lamp", action: "CREATE", id: "result.id" })
  @Mutation(() => Lamp, { nullable: true })
  hangLamp(@Arg("input", () => HangLampInput) _input: HangLampInput): null {
    return null;
  }

  @Audited({ resource: "lamp", action: "DELETE", id: "id" })
  @Unaudited("Nobody misses a lamp.")
  @Mutation(() => Lamp, { nullable: true })
  deleteLamp(@Arg("id", () => ID) _id: string): null {
    return null;
  }
}

const lamp = defineAuditedResource({
  type: "lamp",
  entity: Lamp,
  id: "id",
  tenant: "tenantId",
  label: () => null,
  // The compiler would ask for `colour`, and refuse `shade`.
  fields: { tenantId: ignore("The entry says it."), id: ignore(""), apiToken: track, shade: track } as never,
});

(features as Feature[]).push({ entities: [Lamp], resources: [lamp, lamp], resolvers: [LampResolver] });
