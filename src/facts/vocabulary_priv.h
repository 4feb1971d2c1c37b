/* The tables that tools/gen_vocabulary.py makes from data/. */
#ifndef MNK_FACTS_VOCABULARY_PRIV_H
#define MNK_FACTS_VOCABULARY_PRIV_H

#include "facts/facts.h"

enum { MNK_IMAGENET_N = 1000, MNK_COCO_N = 80, MNK_NO_CONCEPT = 0xffff };

extern const guint mnk_vocabulary_n;
extern const MnkConcept mnk_vocabulary_table[]; /* by name, in strcmp's order */
/* Class to index in mnk_vocabulary_table, or MNK_NO_CONCEPT. */
extern const guint16 mnk_vocabulary_imagenet_table[MNK_IMAGENET_N];
extern const guint16 mnk_vocabulary_coco_table[MNK_COCO_N];

#endif
