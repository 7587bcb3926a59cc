"""Transcripts as files: text, JSON, hOCR, ALTO, CTM and SRT. Knows transcripts by their attributes alone."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.transcripts.formats import FORMATS as FORMATS
    from tidegate.transcripts.formats import SEVERAL as SEVERAL
    from tidegate.transcripts.formats import check_form as check_form
    from tidegate.transcripts.formats import spell as spell
    from tidegate.transcripts.written import Told as Told
    from tidegate.transcripts.written import Written as Written

open_door(__name__)
