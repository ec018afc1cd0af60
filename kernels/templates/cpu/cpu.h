// cpu.h: all templates of the CPU backend. Generated source includes this, and pool.h where the pool is wanted.
#pragma once
#include "attend.h"
#include "elementwise.h"
#include "embed.h"
#include "matmul.h"
#include "norm.h"
#include "pages.h"
#include "rope.h"
#include "tail.h"
