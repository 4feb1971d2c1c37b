#include "net/net_priv.h"

typedef struct {
  guint status;
  const char *reason, *code;
} StatusInfo;

/* Codes as in docs/api.md. */
static const StatusInfo status_table[] = {
    {101, "Switching Protocols", NULL},
    {200, "OK", NULL},
    {201, "Created", NULL},
    {202, "Accepted", NULL},
    {204, "No Content", NULL},
    {206, "Partial Content", NULL},
    {304, "Not Modified", NULL},
    {400, "Bad Request", "bad_input"},
    {401, "Unauthorized", "unauthorized"},
    {403, "Forbidden", "forbidden"},
    {404, "Not Found", "not_found"},
    {405, "Method Not Allowed", "method_not_allowed"},
    {408, "Request Timeout", "limit"},
    {409, "Conflict", "usage"},
    {410, "Gone", "not_found"},
    {411, "Length Required", "bad_input"},
    {413, "Content Too Large", "limit"},
    {414, "URI Too Long", "limit"},
    {415, "Unsupported Media Type", "unsupported"},
    {416, "Range Not Satisfiable", "usage"},
    {417, "Expectation Failed", "unsupported"},
    {422, "Unprocessable Content", "bad_input"},
    {426, "Upgrade Required", "usage"},
    {429, "Too Many Requests", "too_many_requests"},
    {431, "Request Header Fields Too Large", "limit"},
    {499, "Client Closed Request", "cancelled"},
    {500, "Internal Server Error", "internal"},
    {501, "Not Implemented", "unsupported"},
    {502, "Bad Gateway", "source"},
    {503, "Service Unavailable", "unavailable"},
    {504, "Gateway Timeout", "source"},
    {505, "HTTP Version Not Supported", "unsupported"},
    {507, "Insufficient Storage", "store"},
};

static const StatusInfo *status_find(guint status) {
  for (gsize i = 0; i < G_N_ELEMENTS(status_table); i++)
    if (status_table[i].status == status)
      return &status_table[i];
  return NULL;
}

const char *mnk_http_status_reason(guint status) {
  const StatusInfo *info = status_find(status);
  return info ? info->reason : "Unknown";
}

const char *mnk_http_status_code(guint status) {
  const StatusInfo *info = status_find(status);
  if (info && info->code)
    return info->code;
  return status < 500 ? "usage" : "internal";
}
