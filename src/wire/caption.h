/* The objects that every output carries: facts, captions, gaps; and the writers for JSON lines,
 * WebVTT, SRT and plain text. Plain data; a struct is owned by whoever made it. Pure. */
#ifndef MNK_WIRE_CAPTION_H
#define MNK_WIRE_CAPTION_H

#include "wire/json.h"

/* Part of the picture: left, top, width, height, each 0..1; all 0: the whole picture or unknown. */
typedef struct {
  float x, y, w, h;
} MnkBox;

typedef enum {
  MNK_FACT_OBJECT, /* thing with a box: "person" */
  MNK_FACT_SCENE,  /* what the picture as a whole shows: "seashore", "cat" */
  MNK_FACT_FACE,   /* name "face" */
  MNK_FACT_POSE,   /* name: posture, "standing", "sitting", "arms raised" */
  MNK_FACT_TEXT,   /* name: the words as read */
  MNK_FACT_CAMERA, /* name: "pan left|right", "tilt up|down", "zoom in|out", "still", "unsteady" */
  MNK_FACT_CUT,    /* name: "cut" or "dissolve"; start_ms: the boundary */
  MNK_FACT_ACTION, /* name: "enters", "leaves", "moves left|right|up|down", "comes closer", "goes
                      away"; of: who */
  MNK_FACT_GAP,    /* not seen; name: why */
  MNK_FACT_N,
} MnkFactKind;

typedef struct {
  MnkFactKind kind;
  char *name;              /* owned */
  char *of;                /* owned; MNK_FACT_ACTION: the object's name; else NULL */
  float score;             /* 0..1: confidence that it is so, over its interval */
  guint count;             /* how many at once; 1 for what is not counted */
  MnkBox box;              /* the largest one's mean place */
  gint64 start_ms, end_ms; /* stream clock; start_ms <= end_ms */
} MnkFact;

MnkFact *mnk_fact_new(MnkFactKind kind, const char *name);
MnkFact *mnk_fact_copy(const MnkFact *fact);
void mnk_fact_free(MnkFact *fact);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkFact, mnk_fact_free)
const char *mnk_fact_kind_name(MnkFactKind kind); /* "object", ... */

typedef struct {
  char *stream; /* id */
  char *id;     /* stable: the same caption keeps it through updates; unique within the stream */
  guint64 seq;  /* counts the stream's commits from 1: a caption that is told again has a new one */
  gint64 start_ms, end_ms;
  gint64 picture_ms; /* when the key frame was taken that is kept beside it; < 0: none is */
  gboolean final;
  char *backend; /* "template", "gemini", "vertex", "openai"; "none" for a gap */
  char *lang;    /* "en", "ja" */
  char *text;
  GPtrArray *facts; /* of MnkFact, owned */
} MnkCaption;

MnkCaption *mnk_caption_new(void);
MnkCaption *mnk_caption_copy(const MnkCaption *caption);
void mnk_caption_free(MnkCaption *caption);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkCaption, mnk_caption_free)
/* A caption whose facts hold an MNK_FACT_GAP: the interval was not seen. */
gboolean mnk_caption_is_gap(const MnkCaption *caption);

/* {"type":"caption","stream",...,"facts":[...]}: no line feed at the end. */
void mnk_caption_write_json(const MnkCaption *caption, GString *out);
void mnk_caption_write_json_to(const MnkCaption *caption, MnkJsonWriter *w, const char *key);
void mnk_fact_write_json(const MnkFact *fact, MnkJsonWriter *w);
/* Reads what the writers wrote, with limits (text 16 KiB, 256 facts, names 512 bytes). */
MnkCaption *mnk_caption_read_json(const MnkJsonValue *value, GError **error);
MnkFact *mnk_fact_read_json(const MnkJsonValue *value, GError **error);

/* One cue each; text is made safe for the format ("-->", '<', '&', blank lines, CR). A gap becomes
 * a NOTE in WebVTT and nothing in SRT; number counts SRT cues from 1. */
void mnk_vtt_write_header(GString *out, const char *lang);
void mnk_vtt_write_cue(GString *out, const MnkCaption *caption);
void mnk_srt_write_cue(GString *out, guint number, const MnkCaption *caption);
/* "[0:04 - 0:10]  A cat ..." */
void mnk_text_write_line(GString *out, const MnkCaption *caption);

#endif
