// SPDX-License-Identifier: BSD-3-Clause
// The messages of descriptor.proto and plugin.proto that the plug-in needs, as a hand-written
// table (design: nothing of protobuf is linked). Unknown fields are skipped, so a subset
// reads everything protoc sends. Works with model.c and main.c.
#pragma once

#include "lib/protoc/text.h"
#include "lib/schema/schema.h"

enum descriptor_message {
	DESC_SET,
	DESC_REQUEST,
	DESC_RESPONSE,
	DESC_RESPONSE_FILE,
	DESC_FILE,
	DESC_MESSAGE,
	DESC_MESSAGE_OPTIONS,
	DESC_FIELD,
	DESC_FIELD_OPTIONS,
	DESC_ONEOF,
	DESC_ENUM,
	DESC_ENUM_VALUE,
	DESC_SERVICE,
	DESC_METHOD,
	DESC_METHOD_OPTIONS,
	DESC_COUNT,
};

// Field numbers of descriptor.proto and plugin.proto.
enum {
	SET_FILE = 1,
	REQUEST_GENERATE = 1,
	REQUEST_PARAMETER = 2,
	REQUEST_FILE = 15,
	RESPONSE_ERROR = 1,
	RESPONSE_FEATURES = 2,
	RESPONSE_FILE = 15,
	RESPONSE_FILE_NAME = 1,
	RESPONSE_FILE_CONTENT = 15,
	FILE_NAME = 1,
	FILE_PACKAGE = 2,
	FILE_IMPORT = 3,
	FILE_MESSAGE = 4,
	FILE_ENUM = 5,
	FILE_SERVICE = 6,
	FILE_SYNTAX = 12,
	MESSAGE_NAME = 1,
	MESSAGE_FIELD = 2,
	MESSAGE_NESTED = 3,
	MESSAGE_ENUM = 4,
	MESSAGE_OPTIONS = 7,
	MESSAGE_ONEOF = 8,
	MESSAGE_OPTION_MAP_ENTRY = 7,
	FIELD_NAME = 1,
	FIELD_NUMBER = 3,
	FIELD_LABEL = 4,
	FIELD_TYPE = 5,
	FIELD_TYPE_NAME = 6,
	FIELD_OPTIONS = 8,
	FIELD_ONEOF = 9,
	FIELD_OPTIONAL = 17,
	FIELD_OPTION_PACKED = 2,
	ONEOF_NAME = 1,
	ENUM_NAME = 1,
	ENUM_VALUE = 2,
	ENUM_VALUE_NAME = 1,
	ENUM_VALUE_NUMBER = 2,
	SERVICE_NAME = 1,
	SERVICE_METHOD = 2,
	METHOD_NAME = 1,
	METHOD_INPUT = 2,
	METHOD_OUTPUT = 3,
	METHOD_OPTIONS = 4,
	METHOD_CLIENT_STREAM = 5,
	METHOD_SERVER_STREAM = 6,
	METHOD_OPTION_IDEMPOTENCY = 34,
	LABEL_REPEATED = 3,
	FEATURE_PROTO3_OPTIONAL = 1,
};

// Bind the table; the caller frees the schema. NULL, or what is wrong (static).
const char *descriptor_bind(struct arena *arena, struct phx_schema **out);
