/* Routes: one table checks requests, finds handlers and writes the OpenAPI file. */
#ifndef MNK_API_ROUTE_PRIV_H
#define MNK_API_ROUTE_PRIV_H

#include "api/auth_priv.h"

typedef enum {
  MNK_FIELD_STRING, /* max: bytes */
  MNK_FIELD_INT,
  MNK_FIELD_DOUBLE,
  MNK_FIELD_BOOL,
  MNK_FIELD_TIME,   /* "90", "1:30"; milliseconds inside */
  MNK_FIELD_ENUM,   /* choices "a|b" */
  MNK_FIELD_PARAMS, /* an object with the options table's stream parameters (MNK_COMMAND_PARAM) */
  MNK_FIELD_OPTION, /* of bodies alone, like the next: one of these parameters; choices: its name,
                       NULL: the member's */
  MNK_FIELD_OBJECT, /* choices: its schema or NULL; what is in it the handler checks */
  MNK_FIELD_LIST,   /* choices: the schema of its elements; min, max: how many */
} MnkFieldType;

/* A member of the query or of the JSON body. Tables end with a NULL name. Unknown members are
 * refused by name, but for routes of MNK_ROUTE_OPENAI. */
typedef struct {
  const char *name;
  MnkFieldType type;
  gboolean required;
  double min, max;
  const char *choices;
  const char *help;
} MnkField;

typedef struct _MnkRoute MnkRoute;
typedef struct _MnkCall MnkCall;

/* One request on its way through a handler. The dispatcher holds it until the request is closed; a
 * handler that answers later holds it by a reference and looks whether request is still there. The
 * request's own user pointer and closed-call belong to the dispatcher: use the ones here. */
struct _MnkCall {
  gint refs;
  MnkApi *api;
  MnkRequest *request; /* NULL once it is closed: nobody waits for the answer any more */
  const MnkRoute *route;
  MnkKey *key;     /* who asks, owned; NULL for routes of MNK_SCOPE_NONE */
  char *id, *rest; /* the path's variables; NULL when it has none */
  MnkJson *json;   /* the body, checked against the route's table; NULL: none */
  const MnkJsonValue *body;
  void (*closed)(MnkCall *call, gpointer user); /* set by a handler: the request is over */
  gpointer user;                                /* the handler's own */
  gint64 started_us;
};
MnkCall *mnk_call_ref(MnkCall *call);
void mnk_call_unref(MnkCall *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkCall, mnk_call_unref)

enum {
  MNK_ROUTE_RAW_BODY = 1 << 0, /* the handler reads the body itself */
  /* As OpenAI has it: members of the body that are unknown or null are passed over, and errors have
   * its form. */
  MNK_ROUTE_OPENAI = 1 << 1,
};

struct _MnkRoute {
  const char *method;
  const char *pattern; /* "/v1/streams/{id}/frames/{rest}" */
  MnkScope scope;
  const MnkField *query, *body; /* NULL: none */
  guint status;                 /* of success */
  /* A content type, or a schema of openapi_schemas.c; NULL: no body. */
  const char *answer;
  const char *summary;
  void (*handle)(MnkCall *call);
  guint flags; /* MNK_ROUTE_... */
};

/* Tables of the files that own the handlers, each ended by a NULL method. */
extern const MnkRoute mnk_routes_service[]; /* service.c: health, metrics, version, tokens, page */
extern const MnkRoute mnk_routes_streams[]; /* streams.c, captions.c, frames.c, search.c */
extern const MnkRoute mnk_routes_events[];  /* events.c: SSE, WebSocket, MJPEG; ws_stream.c */
extern const MnkRoute mnk_routes_uploads[]; /* uploads.c */
extern const MnkRoute mnk_routes_questions[]; /* ask.c, watches.c, remembered.c, asked.c, chat.c */

/* Members of a query as the route's table has them; the fallback when absent. */
const char *mnk_call_string(const MnkCall *call, const char *name, const char *fallback);
gint64 mnk_call_int(const MnkCall *call, const char *name, gint64 fallback); /* INT, TIME */
double mnk_call_double(const MnkCall *call, const char *name, double fallback);

/* The data folder: the option, else the user's. Caller frees. */
char *mnk_api_data_dir(const MnkSettings *settings);

/* A params object on top of settings: every member checked by the options table. live_only: those
 * that may not change while a stream runs are refused. FALSE: nothing has changed; the error begins
 * with the member's name. */
gboolean mnk_params_apply(MnkSettings *settings, const MnkJsonValue *params, gboolean live_only,
                          GError **error);
/* One of them. */
gboolean mnk_params_set(MnkSettings *settings, const char *name, const MnkJsonValue *value,
                        GError **error);
void mnk_params_write(const MnkSettings *settings, MnkJsonWriter *w, const char *key);

#endif
