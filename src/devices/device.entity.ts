import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from "typeorm";
import { DateTime, Field, ID, ObjectType, registerEnumType } from "../graphql.js";
import { Instant } from "../instant.js";

export const DeviceStatus = { ACTIVE: "ACTIVE", SUSPENDED: "SUSPENDED", RETIRED: "RETIRED" } as const;
export type DeviceStatus = keyof typeof DeviceStatus;
registerEnumType(DeviceStatus, { name: "DeviceStatus" });

@ObjectType()
@Entity({ schema: "app", name: "device", synchronize: false })
export class Device {
  @Field(() => ID)
  @PrimaryColumn({ name: "tenant_id", type: "text" })
  tenantId!: string;

  @Field(() => ID)
  @PrimaryGeneratedColumn("uuid")
  id!: string;

  @Field(() => String)
  @Column({ name: "serial_number", type: "text" })
  serialNumber!: string;

  @Field(() => String)
  @Column({ type: "text" })
  name!: string;

  @Field(() => DeviceStatus)
  @Column({ type: "text" })
  status!: DeviceStatus;

  @Field(() => String, { nullable: true })
  @Column({ name: "firmware_version", type: "text", nullable: true })
  firmwareVersion!: string | null;

  // Write-only: not a field of the type, and never selected.
  @Column({ name: "provisioning_secret", type: "text", nullable: true, select: false })
  provisioningSecret!: string | null;

  @Field(() => DateTime, {
    nullable: true,
    description: "When the device was last heard of. Churn: never part of a diff.",
  })
  @Column({ name: "last_seen_at", type: "timestamptz", nullable: true })
  lastSeenAt!: Instant | null;

  @Field(() => DateTime)
  @Column({ name: "created_at", type: "timestamptz", insert: false, update: false })
  createdAt!: Instant;

  @Field(() => DateTime)
  @Column({ name: "updated_at", type: "timestamptz", insert: false, update: false })
  updatedAt!: Instant;
}
