/* What a stream is made from: its source, judged, and its form in the store. */
#ifndef MNK_API_SPEC_PRIV_H
#define MNK_API_SPEC_PRIV_H

#include "api/core_priv.h"

typedef enum {
  MNK_SPEC_PUSH,
  MNK_SPEC_FILE,
  MNK_SPEC_UPLOAD,
  MNK_SPEC_CAMERA,
  MNK_SPEC_RTSP,
  MNK_SPEC_HTTP,
} MnkSpecKind;

typedef struct {
  MnkSpecKind kind;
  char *source; /* as given */
  char *open;   /* what the stream is to open */
  char *shown;  /* for answers: no secrets, no folders of the server */
  char *owner;  /* name of the key that began it; NULL: the operator */
  gboolean trusted;
  double time_zero; /* pushed: the client's time that is 0 ms; 0: not known yet */
} MnkSpec;
void mnk_spec_clear(MnkSpec *spec);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MnkSpec, mnk_spec_clear)
const char *mnk_spec_kind_name(MnkSpecKind kind);
/* By the form of the source alone. */
MnkSpecKind mnk_spec_kind(const char *source);
/* Judges a source. Files that are not the operator's own must be uploads or lie below --files-root,
 * whatever links there are. Errors begin with "source". */
gboolean mnk_spec_resolve(MnkApi *api, const char *source, gboolean trusted, MnkSpec *out,
                          GError **error);
/* The path of a regular file below the folder root, links followed but never out of it. Caller
 * frees. */
char *mnk_path_below(const char *root, const char *path, GError **error);
/* JSON for the store, and back: the source is judged again, its parameters go into settings.
 * watches: standing questions as mnk_watches_text has them, or NULL. */
void mnk_spec_write(const MnkSpec *spec, const MnkSettings *settings, const MnkSettings *base,
                    const char *watches, GString *out);
gboolean mnk_spec_read(MnkApi *api, const char *json, MnkSettings *settings, MnkSpec *out,
                       GError **error);
/* The parameters that settings have of their own, where they differ from base; one JSON object. */
void mnk_own_params(const MnkSettings *settings, const MnkSettings *base, MnkJsonWriter *w,
                    const char *key);
/* The members of an object but one, plain values as they are; others become null, which no
 * parameter may be. */
void mnk_params_copy(const MnkJsonValue *object, const char *but, MnkJsonWriter *w);
/* The owner alone, whether or not the source is still there. Caller frees. */
char *mnk_spec_owner(const char *json);

#endif
