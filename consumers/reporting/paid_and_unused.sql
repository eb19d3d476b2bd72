/* headwater
key = ["urn"]
*/
-- Schools that pay, and did not use anything in the last month that their platforms reported, or never did.
SELECT
    s.urn,
    s.name         AS school,
    s.town,
    paid.price     AS price_per_year,
    used.last_told,
    used.last_used
FROM staging.school AS s
INNER JOIN (
    SELECT u.urn, SUM(u.price) AS price
    FROM staging.subscription AS u
    WHERE u.active = 1
    GROUP BY u.urn
) AS paid ON paid.urn = s.urn
LEFT JOIN (
    SELECT
        p.urn,
        MAX(p.month)                                         AS last_told,
        MAX(CASE WHEN p.active_users > 0 THEN p.month END)   AS last_used
    FROM staging.platform_usage AS p
    GROUP BY p.urn
) AS used ON used.urn = s.urn
WHERE used.last_used IS NULL OR used.last_used < used.last_told
