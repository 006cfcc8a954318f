"""Writes the databases of countries that the tests read, with a writer that is not ours:
pip install mmdb_writer==0.2.7 && python make.py
The networks are those of RFC 5737, RFC 3849 and RFC 2544, the layout is that of GeoLite2-Country.
"""

from netaddr import IPSet
from mmdb_writer import MMDBWriter


def country(code, name):
    place = {"geoname_id": 2_921_044, "iso_code": code, "names": {"en": name}}
    return {"continent": {"code": "EU", "names": {"en": "Europe"}}, "country": place, "registered_country": place}


GERMANY, SWEDEN = country("DE", "Germany"), country("SE", "Sweden")
# As satellites and anycast have it: a continent, or who registered it, and no country.
NOWHERE = {"continent": {"code": "EU"}, "registered_country": {"iso_code": "US"}}


def write(path, version, networks):
    writer = MMDBWriter(version, ipv4_compatible=version == 6, database_type="GeoLite2-Country", languages=["en"])
    for network, place in networks:
        writer.insert_network(IPSet([network]), place)
    writer.to_db_file(path)


V4 = [("192.0.2.0/24", GERMANY), ("198.51.100.0/25", SWEDEN), ("203.0.113.0/24", NOWHERE), ("198.18.0.0/15", {})]
V6 = [("2001:db8:1::/48", GERMANY), ("2001:db8:2::/47", SWEDEN), ("2001:db8:ffff::/48", NOWHERE)]
write("countries.mmdb", 6, V4 + V6)
write("countries-v4.mmdb", 4, V4)
